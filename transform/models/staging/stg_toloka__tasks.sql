-- Generated from tap_toloka/schemas: python -m scripts.dbt_models

{{ config(enabled=var('toloka__using_tasks')) }}

SELECT
    id AS task_id,
    pool_id,
    input_values,
    known_solutions,
    message_on_unknown_solution,
    baseline_solutions,
    localization_config,
    localization_config ->> 'default_language' AS localization_config_default_language,
    origin_task_id,
    overlap,
    infinite_overlap,
    remaining_overlap,
    reserved_for,
    unavailable_for,
    traits_all_of,
    traits_any_of,
    traits_none_of_any,
    created,
    _misfits,
    _extra,
    _sdc_extracted_at
FROM {{ toloka_table(source('toloka', 'tasks')) }} AS tasks
