-- Generated from tap_toloka/schemas: python -m scripts.dbt_models

{{ config(enabled=var('toloka__using_attachments')) }}

SELECT
    id AS attachment_id,
    attachment_type,
    name,
    details,
    details ->> 'user_id' AS details_user_id,
    details ->> 'assignment_id' AS details_assignment_id,
    details ->> 'pool_id' AS details_pool_id,
    owner,
    owner ->> 'id' AS owner_id,
    (owner ->> 'myself')::boolean AS owner_myself,
    owner ->> 'company_id' AS owner_company_id,
    media_type,
    created,
    _misfits,
    _extra,
    _sdc_extracted_at
FROM {{ toloka_table(source('toloka', 'attachments')) }} AS attachments
