-- Generated from tap_toloka/schemas: python -m scripts.dbt_models

{{ config(enabled=var('toloka__using_requester')) }}

SELECT
    id AS requester_id,
    read_at,
    balance,
    public_name,
    company,
    company ->> 'id' AS company_id,
    company ->> 'superintendent_id' AS company_superintendent_id,
    _misfits,
    _extra,
    _sdc_extracted_at
FROM {{ toloka_table(source('toloka', 'requester')) }} AS requester
