{{ config(
    enabled=var('toloka__using_assignments') and var('toloka__using_pools')
        and var('toloka__using_requester'),
) }}
{%- set hours = var('toloka__forecast_hours') %}

WITH last_run AS (
    SELECT max(read_at) AS as_of FROM {{ ref('stg_toloka__requester') }}
),

answered AS (
    SELECT * FROM {{ ref('stg_toloka__labels') }}
    WHERE status IN ('SUBMITTED', 'ACCEPTED')
),

wanted AS (
    -- What is assigned, and to how many Tolokers: tasks in pools with smart mixing, task suites in
    -- others. Control and training tasks with infinite overlap are never done, so they do not count.
    SELECT
        NULL::text AS pool_id,
        NULL::text AS thing,
        NULL::numeric AS overlap,
        NULL::integer AS answers_each,
        NULL::bigint AS given
    WHERE FALSE
{%- if var('toloka__using_tasks') %}
    UNION ALL
    SELECT pool_id, tasks.task_id, overlap, 1, count(label_id)
    FROM {{ ref('stg_toloka__tasks') }} AS tasks
    JOIN {{ ref('int_toloka__pools') }} AS pools USING (pool_id)
    LEFT JOIN answered USING (pool_id, task_id)
    WHERE pools.is_mixed AND infinite_overlap IS NOT TRUE AND overlap IS NOT NULL
    GROUP BY pool_id, tasks.task_id, overlap
{%- endif %}
{%- if var('toloka__using_task_suites') %}
    UNION ALL
    SELECT
        pool_id,
        suites.task_suite_id,
        overlap,
        cardinality(suites.tasks),
        count(DISTINCT answered.assignment_id)
    FROM {{ ref('stg_toloka__task_suites') }} AS suites
    JOIN {{ ref('int_toloka__pools') }} AS pools USING (pool_id)
    LEFT JOIN answered USING (pool_id, task_suite_id)
    WHERE NOT pools.is_mixed AND infinite_overlap IS NOT TRUE AND overlap IS NOT NULL
    GROUP BY pool_id, suites.task_suite_id, overlap, suites.tasks
{%- endif %}
),

progress AS (
    SELECT
        pool_id,
        sum(overlap * answers_each) AS expected_answers,
        sum(least(given, overlap) * answers_each) AS answers
    FROM wanted
    GROUP BY pool_id
),

lately AS (
    SELECT
        pool_id,
        count(*) / greatest(
            least(
                {{ hours }},
                extract(epoch FROM max(as_of) - max(pools.last_started))::numeric / 3600
            ),
            1
        ) AS answers_per_hour
    FROM answered
    JOIN {{ ref('int_toloka__pools') }} AS pools USING (pool_id)
    CROSS JOIN last_run
    WHERE submitted
        > greatest(as_of - {{ hours }} * interval '1 hour', pools.last_started)
        AND submitted <= as_of
        AND NOT (pools.is_mixed AND is_golden)
    GROUP BY pool_id
),

forecast AS (
    SELECT
        pools.pool_id,
        pools.private_name AS pool,
        pools.project_id,
        pools.status,
        progress.expected_answers,
        progress.answers,
        round(progress.answers / nullif(progress.expected_answers, 0), 3) AS progress,
        round(coalesce(lately.answers_per_hour, 0), 2) AS answers_per_hour,
        CASE
            WHEN pools.status = 'OPEN' AND progress.answers < progress.expected_answers
                THEN round(
                    (progress.expected_answers - progress.answers) / lately.answers_per_hour, 1
                )
        END AS hours_left,
        last_run.as_of
    FROM {{ ref('int_toloka__pools') }} AS pools
    CROSS JOIN last_run
    LEFT JOIN progress USING (pool_id)
    LEFT JOIN lately USING (pool_id)
    WHERE NOT pools.is_training
)

SELECT
    pool_id,
    pool,
    project_id,
    status,
    expected_answers,
    answers,
    progress,
    answers_per_hour,
    hours_left,
    -- A forecast of more than ten years means nothing.
    CASE
        WHEN hours_left < 87600
            THEN date_trunc('minute', as_of + hours_left::double precision * interval '1 hour')
    END AS forecast_end,
    as_of
FROM forecast
