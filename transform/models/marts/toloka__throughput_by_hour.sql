{{ config(
    enabled=var('toloka__using_assignments') and var('toloka__using_pools')
        and var('toloka__using_projects') and var('toloka__using_requester'),
) }}

WITH submitted AS (
    SELECT pools.project_id, assignments.*
    FROM {{ ref('stg_toloka__assignments') }} AS assignments
    JOIN {{ ref('int_toloka__pools') }} AS pools USING (pool_id)
    CROSS JOIN (SELECT max(read_at) AS as_of FROM {{ ref('stg_toloka__requester') }}) AS last_run
    WHERE pools.project_id IS NOT NULL
        AND assignments.submitted::date
            > last_run.as_of::date - {{ var('toloka__throughput_days') }}
),

worked_on AS (
    SELECT project_id, count(DISTINCT submitted::date) AS days FROM submitted GROUP BY project_id
)

SELECT
    worked_on.project_id,
    projects.public_name AS project,
    hour,
    count(submitted.assignment_id) AS assignments,
    coalesce(sum(cardinality(submitted.tasks)), 0) AS answers,
    count(DISTINCT submitted.user_id) AS tolokers,
    worked_on.days,
    round(count(submitted.assignment_id)::numeric / worked_on.days, 2) AS assignments_per_day
FROM worked_on
CROSS JOIN generate_series(0, 23) AS hour
LEFT JOIN submitted
    ON submitted.project_id = worked_on.project_id
    AND extract(hour FROM submitted.submitted) = hour
LEFT JOIN {{ ref('stg_toloka__projects') }} AS projects ON projects.project_id = worked_on.project_id
GROUP BY worked_on.project_id, projects.public_name, hour, worked_on.days
