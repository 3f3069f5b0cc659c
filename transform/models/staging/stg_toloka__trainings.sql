-- Generated from tap_toloka/schemas: python -m scripts.dbt_models

{{ config(enabled=var('toloka__using_trainings')) }}

SELECT
    id AS training_id,
    project_id,
    private_name,
    private_comment,
    public_description,
    inherited_instructions,
    public_instructions,
    may_contain_adult_content,
    assignment_max_duration_seconds,
    mix_tasks_in_creation_order,
    shuffle_tasks_in_task_suite,
    training_tasks_in_task_suite_count,
    task_suites_required_to_pass,
    retry_training_after_days,
    metadata,
    owner,
    owner ->> 'id' AS owner_id,
    (owner ->> 'myself')::boolean AS owner_myself,
    owner ->> 'company_id' AS owner_company_id,
    status,
    last_close_reason,
    created,
    last_started,
    last_stopped,
    _misfits,
    _extra,
    _sdc_extracted_at
FROM {{ toloka_table(source('toloka', 'trainings')) }} AS trainings
