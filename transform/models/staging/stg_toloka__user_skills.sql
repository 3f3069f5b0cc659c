-- Generated from tap_toloka/schemas: python -m scripts.dbt_models

{{ config(enabled=var('toloka__using_user_skills')) }}

SELECT
    id AS user_skill_id,
    skill_id,
    user_id,
    value,
    exact_value,
    created,
    modified,
    _misfits,
    _extra,
    _sdc_extracted_at
FROM {{ toloka_table(source('toloka', 'user_skills')) }} AS user_skills
