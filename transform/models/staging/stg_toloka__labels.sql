{{ config(
    enabled=var('toloka__using_assignments'),
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key='assignment_id',
    on_schema_change='fail',
    indexes=[{'columns': ['assignment_id']}, {'columns': ['task_id']}],
    post_hook="
        DELETE FROM {{ this }} AS built
        WHERE NOT EXISTS (
            SELECT 1 FROM {{ ref('stg_toloka__assignments') }} AS assignments
            WHERE assignments.assignment_id = built.assignment_id
                AND assignments.status IN ('SUBMITTED', 'ACCEPTED', 'REJECTED')
                AND (
                    (assignments.updated, assignments._sdc_extracted_at)
                        IS NOT DISTINCT FROM (built.updated, built._sdc_extracted_at)
                    OR built.number <= cardinality(assignments.tasks)
                )
        )",
) }}

-- An assignment that was loaded again is processed again: with or without a new date, and however
-- late. Labels of assignments that are gone, or were taken back, are deleted afterwards.
-- Those of assignments that were loaded meanwhile are kept as they were, until the next build.

WITH assignments AS (
    SELECT *
    FROM {{ ref('stg_toloka__assignments') }} AS loaded
    WHERE status IN ('SUBMITTED', 'ACCEPTED', 'REJECTED')
    {%- if is_incremental() %}
        AND NOT EXISTS (
            SELECT 1 FROM {{ this }} AS built
            WHERE built.assignment_id = loaded.assignment_id
                AND built.status = loaded.status
                AND (built.updated, built._sdc_extracted_at)
                    IS NOT DISTINCT FROM (loaded.updated, loaded._sdc_extracted_at)
        )
    {%- endif %}
),

labels AS (
    SELECT
        assignments.*,
        pair.number,
        pair.task,
        nullif(pair.solution -> 'output_values', 'null') AS output_values
    FROM assignments
    CROSS JOIN unnest(tasks, solutions) WITH ORDINALITY AS pair (task, solution, number)
    WHERE pair.number <= cardinality(tasks)
),

known AS (
    -- An answer is right if it has all values of a known solution, which may leave out fields.
    SELECT
        labels.assignment_id,
        labels.number,
        max(
            CASE
                WHEN EXISTS (
                    SELECT 1 FROM jsonb_each(solution -> 'output_values') AS right_value
                    WHERE labels.output_values -> right_value.key
                        IS DISTINCT FROM right_value.value
                ) THEN 0
                ELSE coalesce((solution ->> 'correctness_weight')::numeric, 1)
            END
        ) AS correctness
    FROM labels
    CROSS JOIN jsonb_array_elements(
        CASE WHEN jsonb_typeof(task -> 'known_solutions') = 'array' THEN task -> 'known_solutions' END
    ) AS solution
    WHERE jsonb_typeof(solution -> 'output_values') = 'object'
        AND solution -> 'output_values' <> '{}'
    GROUP BY labels.assignment_id, labels.number
)

SELECT
    labels.assignment_id || '-' || labels.number AS label_id,
    labels.assignment_id,
    labels.number,
    labels.task ->> 'id' AS task_id,
    labels.task_suite_id,
    labels.pool_id,
    labels.user_id,
    labels.status,
    labels.created,
    labels.submitted,
    labels.updated,
    labels.task -> 'input_values' AS input_values,
    labels.output_values,
    known.assignment_id IS NOT NULL AS is_golden,
    CASE WHEN labels.output_values IS NOT NULL THEN known.correctness END AS correctness,
    labels._sdc_extracted_at
FROM labels
LEFT JOIN known USING (assignment_id, number)
