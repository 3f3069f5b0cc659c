-- Generated from tap_toloka/schemas: python -m scripts.dbt_models

{{ config(enabled=var('toloka__using_assignments')) }}

SELECT
    id AS assignment_id,
    task_suite_id,
    pool_id,
    user_id,
    status,
    reward,
    bonus_ids,
    tasks,
    first_declined_solution_attempt,
    solutions,
    public_comment,
    mixed,
    automerged,
    owner,
    owner ->> 'id' AS owner_id,
    (owner ->> 'myself')::boolean AS owner_myself,
    owner ->> 'company_id' AS owner_company_id,
    created,
    submitted,
    accepted,
    rejected,
    skipped,
    expired,
    updated,
    _misfits,
    _extra,
    _sdc_extracted_at
FROM {{ toloka_table(source('toloka', 'assignments')) }} AS assignments
