{# A view, so that it is current whenever it is queried. #}
{{ config(
    enabled=var('toloka__using_assignments') and var('toloka__using_pools'),
    materialized='view',
) }}

SELECT *
FROM (
    SELECT
        pools.pool_id,
        pools.private_name AS pool,
        pools.project_id,
        greatest(pools.created, pools.last_started, seen.last_submitted) AS quiet_since,
        seen.last_submitted,
        coalesce(seen.active, 0) AS active
    FROM {{ ref('int_toloka__pools') }} AS pools
    LEFT JOIN (
        SELECT
            pool_id,
            max(submitted) AS last_submitted,
            count(*) FILTER (WHERE status = 'ACTIVE') AS active
        FROM {{ ref('stg_toloka__assignments') }}
        GROUP BY pool_id
    ) AS seen USING (pool_id)
    WHERE pools.status = 'OPEN' AND NOT pools.is_training
) AS open_pools
WHERE quiet_since
    <= now() AT TIME ZONE 'UTC' - {{ var('toloka__stuck_after_hours') }} * interval '1 hour'
