{{ config(enabled=var('toloka__using_assignments') and var('toloka__using_user_bonuses')) }}

SELECT
    day,
    coalesce(given.rewards, 0) AS rewards,
    coalesce(added.bonuses, 0) AS bonuses,
    coalesce(given.rewards, 0) + coalesce(added.bonuses, 0) AS spend
FROM (
    SELECT coalesce(accepted, updated)::date AS day, sum(reward) AS rewards
    FROM {{ ref('stg_toloka__assignments') }}
    WHERE status = 'ACCEPTED'
    GROUP BY 1
) AS given
FULL JOIN (
    SELECT created::date AS day, sum(amount) AS bonuses
    FROM {{ ref('stg_toloka__user_bonuses') }}
    GROUP BY 1
) AS added USING (day)
