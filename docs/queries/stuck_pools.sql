-- Pools that are stuck, by the status that they had when they were read
--
-- Pools that are open, and that for a day or longer nobody submitted anything in: not since they
-- were opened last, or never. Trainings are left out. `quiet_since` is the last submission or, if
-- that is later, when the pool was opened; `active` are assignments that Tolokers have now. Quiet
-- for longest first.
--
-- A pool that was closed after its row was read looks as if it were stuck. Read pools FULL_TABLE, or
-- with `lookback_days`, to rely on this.
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
