-- Generated from tap_toloka/schemas: python -m scripts.dbt_models

{{ config(enabled=var('toloka__using_aggregated_solutions')) }}

SELECT
    operation_id,
    operation_finished,
    task_id,
    pool_id,
    confidence,
    output_values,
    _misfits,
    _extra,
    _sdc_extracted_at
FROM {{ toloka_table(source('toloka', 'aggregated_solutions')) }} AS aggregated_solutions
