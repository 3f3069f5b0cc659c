{{ config(enabled=var('toloka__using_assignments')) }}

SELECT
    user_id,
    accepted + rejected AS reviewed,
    accepted,
    rejected,
    round(rejected::numeric / (accepted + rejected), 3) AS rejection_rate
FROM (
    SELECT
        user_id,
        count(*) FILTER (WHERE status = 'ACCEPTED') AS accepted,
        count(*) FILTER (WHERE status = 'REJECTED') AS rejected
    FROM {{ ref('stg_toloka__assignments') }}
    WHERE user_id IS NOT NULL
    GROUP BY user_id
) AS counted
WHERE accepted + rejected > 0
