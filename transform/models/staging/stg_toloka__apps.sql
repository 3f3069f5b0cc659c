-- Generated from tap_toloka/schemas: python -m scripts.dbt_models

{{ config(enabled=var('toloka__using_apps')) }}

SELECT
    id AS app_id,
    name,
    image,
    description,
    constraints_description,
    default_item_price,
    examples,
    param_spec,
    input_spec,
    output_spec,
    input_format_info,
    _misfits,
    _extra,
    _sdc_extracted_at
FROM {{ toloka_table(source('toloka', 'apps')) }} AS apps
