-- Generated from tap_toloka/schemas: python -m scripts.dbt_models

{{ config(enabled=var('toloka__using_user_bonuses')) }}

SELECT
    id AS user_bonus_id,
    user_id,
    amount,
    private_comment,
    public_title,
    public_message,
    without_message,
    assignment_id,
    created,
    _misfits,
    _extra,
    _sdc_extracted_at
FROM {{ toloka_table(source('toloka', 'user_bonuses')) }} AS user_bonuses
