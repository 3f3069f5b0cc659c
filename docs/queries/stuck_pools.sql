-- Stuck pools, by their status at the last run
--
-- Open pools without a submission for a day or longer, counted from when they were last opened.
-- Trainings are left out. `quiet_since` is the last submission, or the time the pool was opened if
-- that is later; `active` counts assignments that Tolokers are working on. Sorted by `quiet_since`,
-- longest first.
--
-- Reads: pools, assignments.

WITH settings AS (SELECT interval '1 day' AS least_quiet)

SELECT *
FROM (
    SELECT
        pools.id AS pool_id,
        pools.private_name AS pool,
        greatest(pools.created, pools.last_started, seen.last_submitted) AS quiet_since,
        seen.last_submitted,
        coalesce(seen.active, 0) AS active
    FROM pools
    LEFT JOIN (
        SELECT
            pool_id,
            max(submitted) AS last_submitted,
            count(*) FILTER (WHERE status = 'ACTIVE') AS active
        FROM assignments
        GROUP BY pool_id
    ) AS seen ON seen.pool_id = pools.id
    WHERE pools.status = 'OPEN' AND pools.type IS DISTINCT FROM 'TRAINING'
) AS open_pools
WHERE quiet_since <= now() AT TIME ZONE 'UTC' - (SELECT least_quiet FROM settings)
ORDER BY quiet_since, pool_id;
