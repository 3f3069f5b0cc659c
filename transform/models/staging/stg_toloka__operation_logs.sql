-- Generated from tap_toloka/schemas: python -m scripts.dbt_models

{{ config(enabled=var('toloka__using_operation_logs')) }}

SELECT
    operation_id,
    number,
    operation_finished,
    type,
    success,
    input,
    output,
    _misfits,
    _extra,
    _sdc_extracted_at
FROM {{ toloka_table(source('toloka', 'operation_logs')) }} AS operation_logs
