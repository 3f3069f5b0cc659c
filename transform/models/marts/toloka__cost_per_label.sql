{{ config(enabled=var('toloka__using_assignments') and var('toloka__using_pools')) }}

SELECT
    accepted.pool_id,
    pools.private_name AS pool,
    pools.project_id,
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
    FROM {{ ref('stg_toloka__assignments') }}
    WHERE status = 'ACCEPTED'
    GROUP BY pool_id
    HAVING sum(cardinality(tasks)) > 0
) AS accepted
LEFT JOIN {{ ref('int_toloka__pools') }} AS pools USING (pool_id)
