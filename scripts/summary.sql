-- What `make run` prints at its end: each query below its title. Run from the schema that the tap
-- loads into.

-- Pools and reward by project
SELECT
    CASE grouping(project_id) WHEN 1 THEN 'all' ELSE project_id END AS project,
    count(*) AS pools,
    count(*) FILTER (WHERE status = 'OPEN') AS open,
    count(*) FILTER (WHERE status = 'CLOSED') AS closed,
    count(*) FILTER (WHERE status = 'ARCHIVED') AS archived,
    count(*) FILTER (WHERE status = 'LOCKED') AS locked,
    round(min(reward_per_assignment), 4) AS least_reward,
    round(avg(reward_per_assignment), 4) AS average,
    round(max(reward_per_assignment), 4) AS greatest
FROM pools
GROUP BY ROLLUP (project_id)
ORDER BY grouping(project_id) DESC, pools DESC
LIMIT 6;

-- Latest pools
SELECT
    to_char(created, 'YYYY-MM-DD HH24:MI:SS') AS created_utc,
    id,
    project_id AS project,
    status,
    round(reward_per_assignment, 4) AS reward,
    left(regexp_replace(private_name, '\s+', ' ', 'g'), 40) AS name
FROM pools
ORDER BY created DESC, id DESC
LIMIT 5;
