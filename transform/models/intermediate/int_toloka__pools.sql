{{ config(enabled=var('toloka__using_pools')) }}

SELECT
    pool_id,
    private_name,
    project_id,
    status,
    created,
    last_started,
    mixer_config IS NOT NULL AS is_mixed,
    type IS NOT DISTINCT FROM 'TRAINING' AS is_training
FROM {{ ref('stg_toloka__pools') }}
{%- if var('toloka__using_trainings') %}
UNION ALL
SELECT
    training_id,
    private_name,
    project_id,
    status,
    created,
    last_started,
    FALSE,
    TRUE
FROM {{ ref('stg_toloka__trainings') }} AS trainings
WHERE NOT EXISTS (
    SELECT 1 FROM {{ ref('stg_toloka__pools') }} AS pools
    WHERE pools.pool_id = trainings.training_id
)
{%- endif %}
