-- Generated from tap_toloka/schemas: python -m scripts.dbt_models

{{ config(enabled=var('toloka__using_app_projects')) }}

SELECT
    id AS app_project_id,
    app_id,
    parent_app_project_id,
    status,
    name,
    item_price,
    parameters,
    errors,
    read_only,
    app,
    app ->> 'name' AS app_name,
    created,
    _misfits,
    _extra,
    _sdc_extracted_at
FROM {{ toloka_table(source('toloka', 'app_projects')) }} AS app_projects
