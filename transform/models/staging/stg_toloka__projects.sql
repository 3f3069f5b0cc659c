-- Generated from tap_toloka/schemas: python -m scripts.dbt_models

{{ config(enabled=var('toloka__using_projects')) }}

SELECT
    id AS project_id,
    public_name,
    public_description,
    public_instructions,
    private_comment,
    task_spec,
    assignments_issuing_type,
    assignments_issuing_view_config,
    assignments_issuing_view_config ->> 'title_template' AS assignments_issuing_view_config_title_template,
    assignments_issuing_view_config ->> 'description_template' AS assignments_issuing_view_config_description_template,
    assignments_issuing_view_config ->> 'map_provider' AS assignments_issuing_view_config_map_provider,
    quality_control,
    assignments_automerge_enabled,
    max_active_assignments_count,
    metadata,
    sensitive,
    localization_config,
    localization_config ->> 'default_language' AS localization_config_default_language,
    owner,
    owner ->> 'id' AS owner_id,
    (owner ->> 'myself')::boolean AS owner_myself,
    owner ->> 'company_id' AS owner_company_id,
    status,
    created,
    _misfits,
    _extra,
    _sdc_extracted_at
FROM {{ toloka_table(source('toloka', 'projects')) }} AS projects
