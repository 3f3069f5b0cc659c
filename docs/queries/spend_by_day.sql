-- Spend by day
--
-- What Tolokers were given, in US dollars: rewards on the day on which an assignment was accepted,
-- bonuses on the day on which they were given. Without what Toloka charges beside it. Days are
-- those of UTC; days without either are left out. Latest first.
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
