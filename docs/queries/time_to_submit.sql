-- Time from issue to submission, by pool
--
-- Seconds from when a Toloker got the tasks to when the answers were submitted: median and 90th
-- percentile. All submitted assignments count, whatever happened later; active, skipped and expired
-- ones do not. Slowest pool first.
--
-- Reads: assignments, pools.

SELECT
    done.pool_id,
    pools.private_name AS pool,
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
        FROM assignments
        WHERE submitted IS NOT NULL
    ) AS each
    GROUP BY pool_id
) AS done
LEFT JOIN pools ON pools.id = done.pool_id
ORDER BY median_seconds DESC, done.pool_id;
