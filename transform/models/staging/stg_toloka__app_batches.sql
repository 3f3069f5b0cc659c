-- Generated from tap_toloka/schemas: python -m scripts.dbt_models

{{ config(enabled=var('toloka__using_app_batches')) }}

SELECT
    id AS batch_id,
    app_project_id,
    status,
    name,
    items_count,
    item_count,
    item_price,
    cost,
    cost_of_processed,
    created_at,
    started_at,
    finished_at,
    read_only,
    validation_errors,
    last_items_import,
    last_items_import ->> 'id' AS last_items_import_id,
    (last_items_import ->> 'records_count')::bigint AS last_items_import_records_count,
    (last_items_import ->> 'records_processed')::bigint AS last_items_import_records_processed,
    (last_items_import ->> 'records_skipped')::bigint AS last_items_import_records_skipped,
    confidence_avg,
    items_processed_count,
    items_per_state,
    "current_time",
    etd,
    eta,
    app_project_eta,
    priority_order,
    _misfits,
    _extra,
    _sdc_extracted_at
FROM {{ toloka_table(source('toloka', 'app_batches')) }} AS app_batches
