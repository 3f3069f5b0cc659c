-- As docs/queries/spend_by_day.sql, whose comment says what is counted.

SELECT
    day,
    coalesce(given.rewards, 0) AS rewards,
    coalesce(added.bonuses, 0) AS bonuses,
    coalesce(given.rewards, 0) + coalesce(added.bonuses, 0) AS spend
FROM (
    SELECT accepted::date AS day, sum(reward) AS rewards
    FROM {{ source('toloka', 'assignments') }}
    WHERE status = 'ACCEPTED'
    GROUP BY 1
) AS given
FULL JOIN (
    SELECT created::date AS day, sum(amount) AS bonuses
    FROM {{ source('toloka', 'user_bonuses') }}
    GROUP BY 1
) AS added USING (day)
