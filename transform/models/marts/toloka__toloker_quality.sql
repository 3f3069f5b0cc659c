{{ config(enabled=var('toloka__using_assignments') and var('toloka__using_pools')) }}

WITH answers AS (
    SELECT labels.*
    FROM {{ ref('stg_toloka__labels') }} AS labels
    LEFT JOIN {{ ref('int_toloka__pools') }} AS pools USING (pool_id)
    WHERE labels.user_id IS NOT NULL
        AND labels.output_values IS NOT NULL
        AND pools.is_training IS NOT TRUE
),

same_answers AS (
    SELECT
        pool_id,
        task_id,
        output_values,
        count(*) AS same,
        sum(count(*)) OVER (PARTITION BY pool_id, task_id) AS given
    FROM answers
    WHERE status <> 'REJECTED' AND NOT is_golden
    GROUP BY pool_id, task_id, output_values
),

majority AS (
    SELECT pool_id, task_id, output_values
    FROM same_answers
    WHERE given >= {{ var('toloka__least_answers') }} AND same * 2 > given
)

SELECT
    answers.user_id,
    count(*) AS answers,
    count(*) FILTER (WHERE answers.is_golden) AS golden_answers,
    round(avg(answers.correctness), 3) AS golden_accuracy,
    count(majority.task_id) AS majority_answers,
    round(
        avg((answers.output_values = majority.output_values)::integer)
        FILTER (WHERE majority.task_id IS NOT NULL),
        3
    ) AS majority_agreement
FROM answers
LEFT JOIN majority
    ON majority.pool_id = answers.pool_id
    AND majority.task_id = answers.task_id
    AND NOT answers.is_golden
GROUP BY answers.user_id
