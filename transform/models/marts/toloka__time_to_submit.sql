{{ config(enabled=var('toloka__using_assignments') and var('toloka__using_pools')) }}

SELECT
    done.pool_id,
    pools.private_name AS pool,
    pools.project_id,
    done.submitted,
    round(done.median::numeric, 1) AS median_seconds,
    round(done.percentile_90::numeric, 1) AS percentile_90_seconds
FROM (
    SELECT
        pool_id,
        count(*) AS submitted,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) AS median,
        percentile_cont(0.9) WITHIN GROUP (ORDER BY seconds) AS percentile_90
    FROM (
        SELECT pool_id, extract(epoch FROM submitted - created)::double precision AS seconds
        FROM {{ ref('stg_toloka__assignments') }}
        WHERE submitted IS NOT NULL
    ) AS each
    GROUP BY pool_id
) AS done
LEFT JOIN {{ ref('int_toloka__pools') }} AS pools USING (pool_id)
