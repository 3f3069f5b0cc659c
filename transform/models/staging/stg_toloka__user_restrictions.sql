-- Generated from tap_toloka/schemas: python -m scripts.dbt_models

{{ config(enabled=var('toloka__using_user_restrictions')) }}

SELECT
    id AS user_restriction_id,
    scope,
    user_id,
    project_id,
    pool_id,
    private_comment,
    will_expire,
    created,
    _misfits,
    _extra,
    _sdc_extracted_at
FROM {{ toloka_table(source('toloka', 'user_restrictions')) }} AS user_restrictions
