-- Generated from tap_toloka/schemas: python -m scripts.dbt_models

{{ config(enabled=var('toloka__using_user_metadata')) }}

SELECT
    id AS user_id,
    country,
    languages,
    attributes,
    attributes ->> 'country_by_phone' AS attributes_country_by_phone,
    attributes ->> 'country_by_ip' AS attributes_country_by_ip,
    attributes ->> 'client_type' AS attributes_client_type,
    attributes ->> 'user_agent_type' AS attributes_user_agent_type,
    attributes ->> 'device_category' AS attributes_device_category,
    attributes ->> 'os_family' AS attributes_os_family,
    (attributes ->> 'os_version')::numeric AS attributes_os_version,
    (attributes ->> 'os_version_major')::bigint AS attributes_os_version_major,
    (attributes ->> 'os_version_minor')::bigint AS attributes_os_version_minor,
    (attributes ->> 'os_version_bugfix')::bigint AS attributes_os_version_bugfix,
    adult_allowed,
    _misfits,
    _extra,
    _sdc_extracted_at
FROM {{ toloka_table(source('toloka', 'user_metadata')) }} AS user_metadata
