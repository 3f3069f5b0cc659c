{#
  The rows of a source table, with all columns of sources.yml in order. Columns that the database lacks,
  because the tap does not select them, are NULL. So is the JSON null that target-postgres writes
  into jsonb columns. Rows that ACTIVATE_VERSION has marked as deleted are left out.
#}
{% macro toloka_table(table) %}
  {%- if not execute -%}
    {{ return(table) }}
  {%- endif -%}
  {%- set found = adapter.get_columns_in_relation(table) | map(attribute='name') | list -%}
  {%- if not found -%}
    {{ exceptions.raise_compiler_error(
        "There is no table " ~ table ~ ", or dbt has no right to read it. Load the stream "
        ~ table.identifier ~ ", or set the variable toloka__using_" ~ table.identifier
        ~ " to false."
    ) }}
  {%- endif -%}
  {%- set source = graph.sources.values()
      | selectattr('package_name', 'equalto', 'toloka')
      | selectattr('name', 'equalto', table.identifier) | first -%}
  (
    SELECT
    {%- for name, column in source.columns.items() %}
      {%- if name in found and column.data_type == 'jsonb' %}
        nullif({{ adapter.quote(name) }}, 'null') AS {{ adapter.quote(name) }},
      {%- elif name in found %}
        {{ adapter.quote(name) }},
      {%- else %}
        CAST(NULL AS {{ column.data_type }}) AS {{ adapter.quote(name) }},
      {%- endif %}
    {%- endfor %}
        {{ '_sdc_extracted_at' if '_sdc_extracted_at' in found
           else 'CAST(NULL AS timestamp) AS _sdc_extracted_at' }}
    FROM {{ table }}
    {%- if '_sdc_deleted_at' in found %}
    WHERE _sdc_deleted_at IS NULL
    {%- endif %}
  )
{%- endmacro %}
