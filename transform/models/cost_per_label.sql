-- As docs/queries/cost_per_label.sql, whose comment says what is counted.

SELECT
    accepted.pool_id,
    pools.private_name AS pool,
    accepted.assignments,
    accepted.labels,
    accepted.cost,
    round(accepted.cost / accepted.labels, 5) AS cost_per_label
FROM (
    SELECT
        pool_id,
        count(*) AS assignments,
        sum(cardinality(tasks)) AS labels,
        coalesce(sum(reward), 0) AS cost
    FROM {{ source('toloka', 'assignments') }}
    WHERE status = 'ACCEPTED'
    GROUP BY pool_id
    HAVING sum(cardinality(tasks)) > 0
) AS accepted
LEFT JOIN {{ source('toloka', 'pools') }} AS pools ON pools.id = accepted.pool_id
