-- Spend by day
--
-- What Tolokers received, in US dollars: rewards on the day an assignment was accepted, bonuses on
-- the day they were paid. Without Toloka's fee. Days are in UTC; days without rewards and bonuses
-- are left out. Latest day first.
--
-- Reads: assignments, user_bonuses.

SELECT
    day,
    coalesce(given.rewards, 0) AS rewards,
    coalesce(added.bonuses, 0) AS bonuses,
    coalesce(given.rewards, 0) + coalesce(added.bonuses, 0) AS spend
FROM (
    SELECT accepted::date AS day, sum(reward) AS rewards
    FROM assignments
    WHERE status = 'ACCEPTED'
    GROUP BY 1
) AS given
FULL JOIN (
    SELECT created::date AS day, sum(amount) AS bonuses
    FROM user_bonuses
    GROUP BY 1
) AS added USING (day)
ORDER BY day DESC;
