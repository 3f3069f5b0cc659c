-- Generated from tap_toloka/schemas: python -m scripts.dbt_models

{{ config(enabled=var('toloka__using_task_suites')) }}

SELECT
    id AS task_suite_id,
    pool_id,
    tasks,
    overlap,
    infinite_overlap,
    remaining_overlap,
    reserved_for,
    unavailable_for,
    traits_all_of,
    traits_any_of,
    traits_none_of_any,
    issuing_order_override,
    mixed,
    automerged,
    longitude,
    latitude,
    created,
    _misfits,
    _extra,
    _sdc_extracted_at
FROM {{ toloka_table(source('toloka', 'task_suites')) }} AS task_suites
