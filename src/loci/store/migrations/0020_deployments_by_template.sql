create index deployments_by_template on deployments (template_id);
