-- Rejection rate, by Toloker
--
-- Rejected assignments as a share of those that were reviewed: rejected / (accepted + rejected). An
-- assignment that was rejected first and accepted later counts as accepted. Tolokers with few
-- reviewed assignments are left out, as their rate says little. Sorted by rate, descending.
--
-- Reads: assignments.

WITH settings AS (SELECT 20 AS least_reviewed)

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
    FROM assignments
    GROUP BY user_id
) AS counted
WHERE accepted + rejected >= (SELECT least_reviewed FROM settings)
ORDER BY rejection_rate DESC, reviewed DESC, user_id;
