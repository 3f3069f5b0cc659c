-- Generated from tap_toloka/schemas: python -m scripts.dbt_models

{{ config(enabled=var('toloka__using_skills')) }}

SELECT
    id AS skill_id,
    name,
    public_name,
    private_comment,
    public_requester_description,
    hidden,
    skill_ttl_hours,
    deprecated,
    owner,
    owner ->> 'id' AS owner_id,
    (owner ->> 'myself')::boolean AS owner_myself,
    owner ->> 'company_id' AS owner_company_id,
    training,
    created,
    global,
    _misfits,
    _extra,
    _sdc_extracted_at
FROM {{ toloka_table(source('toloka', 'skills')) }} AS skills
