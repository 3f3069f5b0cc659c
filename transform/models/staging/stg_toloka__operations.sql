-- Generated from tap_toloka/schemas: python -m scripts.dbt_models

{{ config(enabled=var('toloka__using_operations')) }}

SELECT
    id AS operation_id,
    type,
    status,
    submitted,
    started,
    finished,
    progress,
    parameters,
    details,
    _misfits,
    _extra,
    parameters ->> 'pool_id' AS parameters_pool_id,
    _sdc_extracted_at
FROM {{ toloka_table(source('toloka', 'operations')) }} AS operations
