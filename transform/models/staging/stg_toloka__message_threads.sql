-- Generated from tap_toloka/schemas: python -m scripts.dbt_models

{{ config(enabled=var('toloka__using_message_threads')) }}

SELECT
    id AS message_thread_id,
    parent_id,
    topic,
    interlocutors_inlined,
    interlocutors,
    messages_inlined,
    messages,
    compose_details,
    compose_details ->> 'recipients_select_type' AS compose_details_recipients_select_type,
    compose_details -> 'recipients_ids' AS compose_details_recipients_ids,
    meta,
    meta ->> 'pool_id' AS meta_pool_id,
    meta ->> 'project_id' AS meta_project_id,
    meta ->> 'assignment_id' AS meta_assignment_id,
    folders,
    answerable,
    created,
    _misfits,
    _extra,
    _sdc_extracted_at
FROM {{ toloka_table(source('toloka', 'message_threads')) }} AS message_threads
