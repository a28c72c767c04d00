"""What answers about agent files, templates, projects, schedules and the account look like (see `shapes`)."""

from typing_extensions import TypedDict

from loci.api.shapes import Object, Time, exact


@exact
class ImportedShape(TypedDict):
    """The agents that a file became, and what could not be taken over as it was."""

    agent_ids: list[str]
    warnings: list[str]


@exact
class AgentFileShape(TypedDict):
    """An agent file. `loci` holds what the published shape has no place for."""

    agents: list[Object]
    groups: list[Object]
    blocks: list[Object]
    files: list[Object]
    sources: list[Object]
    tools: list[Object]
    mcp_servers: list[Object]
    skills: list[Object]
    metadata: dict[str, str]
    created_at: Time
    loci: Object


@exact
class ScheduleMadeShape(TypedDict):
    """A schedule that was made."""

    id: str
    next_scheduled_at: str


@exact
class ScheduledShape(TypedDict):
    """Something that is to be said to an agent."""

    id: str
    agent_id: str
    message: Object
    schedule: Object
    next_scheduled_time: str


@exact
class SchedulesShape(TypedDict):
    """One page of them."""

    scheduled_messages: list[ScheduledShape]
    has_next_page: bool


@exact
class SuccessShape(TypedDict):
    """It was done."""

    success: bool


@exact
class AccountShape(TypedDict):
    """Who is asking."""

    id: str
    email: str
    name: str
    organization_name: str
    organization_id: str
    current_project_name: str | None
    current_project_id: str
    billing_tier: str
    remaining_credits: float


@exact
class StatusShape(TypedDict):
    """The project that is worked in."""

    current_project_id: str


@exact
class BalanceShape(TypedDict):
    """Money that nobody asks for here."""

    total_balance: float
    monthly_credit_balance: float
    purchased_credit_balance: float
    billing_tier: str


@exact
class EntityShape(TypedDict):
    """Something that belongs to a deployment."""

    id: str
    type: str
    name: str | None
    description: str | None
    entity_id: str | None
    project_id: str | None


@exact
class DeploymentShape(TypedDict):
    """What belongs to a deployment."""

    entities: list[EntityShape]
    total_count: int
    deployment_id: str
    message: str


@exact
class DeploymentDeletedShape(TypedDict):
    """What was deleted with a deployment."""

    deleted_blocks: list[str]
    deleted_agents: list[str]
    deleted_groups: list[str]
    message: str


@exact
class VariablesShape(TypedDict):
    """Words by the name of their variable."""

    variables: dict[str, str]


@exact
class TemplateShape(TypedDict):
    """A template. `template_deployment_slug` names its newest version."""

    id: str
    name: str
    project_id: str
    project_slug: str
    latest_version: str
    description: str
    template_deployment_slug: str
    updated_at: str


@exact
class TemplatesShape(TypedDict):
    """One page of templates."""

    templates: list[TemplateShape]
    has_next_page: bool


@exact
class VersionShape(TypedDict):
    """A version of a template."""

    version: str
    created_at: str
    message: str
    is_latest: bool


@exact
class VersionsShape(TypedDict):
    """One page of versions."""

    versions: list[VersionShape]
    has_next_page: bool
    total_count: int


@exact
class DeployedShape(TypedDict):
    """What was made from a template."""

    agent_ids: list[str]
    deployment_id: str
    group_id: str | None


@exact
class ProjectShape(TypedDict):
    """A project."""

    id: str
    name: str
    slug: str


@exact
class ProjectsShape(TypedDict):
    """One page of projects."""

    projects: list[ProjectShape]
    hasNextPage: bool
