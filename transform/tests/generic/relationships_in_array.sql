{#
  Like `relationships`, for the objects in an array.

  Arguments:
    array: The column with the arrays.
    key: The property of each object that refers to the other model.
    to: The other model.
    field: The column of that model that it refers to.
    only: A condition that restricts the test to some objects.
#}
{% test relationships_in_array(model, array, key, to, field, only='TRUE') %}

SELECT DISTINCT element ->> '{{ key }}' AS missing
FROM {{ model }} AS child
CROSS JOIN unnest(child.{{ array }}) AS element
LEFT JOIN {{ to }} AS parent ON parent.{{ field }} = element ->> '{{ key }}'
WHERE element ->> '{{ key }}' IS NOT NULL
    AND parent.{{ field }} IS NULL
    AND {{ only }}

{% endtest %}
