-- Generated from tap_toloka/schemas: python -m scripts.dbt_models

{{ config(enabled=var('toloka__using_webhook_subscriptions')) }}

SELECT
    id AS webhook_subscription_id,
    event_type,
    webhook_url,
    pool_id,
    created,
    _misfits,
    _extra,
    _sdc_extracted_at
FROM {{ toloka_table(source('toloka', 'webhook_subscriptions')) }} AS webhook_subscriptions
