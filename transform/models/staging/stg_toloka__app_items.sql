-- Generated from tap_toloka/schemas: python -m scripts.dbt_models

{{ config(enabled=var('toloka__using_app_items')) }}

SELECT
    id AS item_id,
    app_project_id,
    batch_id,
    status,
    input_data,
    output_data,
    errors,
    created_at,
    started_at,
    finished_at,
    _misfits,
    _extra,
    _sdc_extracted_at
FROM {{ toloka_table(source('toloka', 'app_items')) }} AS app_items
