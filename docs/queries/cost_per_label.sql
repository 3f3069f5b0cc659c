-- Cost per accepted label, by pool
--
-- A label is a task in an accepted assignment: an assignment with five tasks counts as five labels,
-- control tasks included. Cost is the reward of these assignments in US dollars, without bonuses
-- and without Toloka's fee. Pools without a label are left out. Sorted by cost per label,
-- descending; trainings, which cost nothing, come last.
--
-- Reads: assignments, pools.

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
    FROM assignments
    WHERE status = 'ACCEPTED'
    GROUP BY pool_id
    HAVING sum(cardinality(tasks)) > 0
) AS accepted
LEFT JOIN pools ON pools.id = accepted.pool_id
ORDER BY cost_per_label DESC, accepted.cost DESC, accepted.pool_id;
