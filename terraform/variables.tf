# --- What it is called and where it lives ------------------------------------------------------------------------

variable "name" {
  description = "Name of the platform and prefix of every resource. Lowercase letters, digits and hyphens."
  type        = string
  default     = "jitsi-video-platform"

  # The names that meetctl takes as well. Load balancers and target groups allow 32 characters, and must not begin with
  # "internal-"; buckets have prefixes of their own.
  # https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateLoadBalancer.html
  # https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,22}[a-z0-9])?$", var.name)) && !can(regex("^(internal-|xn--|sthree-|amzn-s3-demo-)", var.name))
    error_message = "name: 1 to 24 characters, lowercase letters, digits and hyphens, beginning with a letter, not ending with a hyphen, and not beginning with internal-, xn--, sthree- or amzn-s3-demo-."
  }
}

variable "environment" {
  description = "Value of the `environment` tag on every resource."
  type        = string
  default     = "production"

  validation {
    condition     = can(regex("^[A-Za-z0-9._-]{1,64}$", var.environment))
    error_message = "environment: 1 to 64 letters, digits, dots, hyphens or underscores."
  }
}

variable "region" {
  description = "AWS region in which everything is created."
  type        = string
  default     = "us-west-2"

  # Whether the region exists is the provider's to say, and whether Fargate has two zones there, a look at the account.
  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region)) && !can(regex("^(cn-|us-gov-|us-iso|eu-isoe-|eusc-)", var.region))
    error_message = "region: a region's code, such as us-west-2. China, GovCloud and the other separate partitions of AWS will not do: the policies and the certificate are those of the commercial regions."
  }
}

variable "account_id" {
  description = "AWS account in which this may be created; credentials of another account are refused. Empty: any account."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^([0-9]{12})?$", var.account_id))
    error_message = "account_id: twelve digits, or empty."
  }
}

variable "domain" {
  description = "Host name of the meetings, as people type it: `meet.example.org`."
  type        = string

  validation {
    condition     = can(regex("^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z]{2,63}$", var.domain)) && length(var.domain) <= 253
    error_message = "domain: a full host name in lowercase, such as meet.example.org, without https:// and without a final dot."
  }
}

variable "zone_id" {
  description = "Id of the existing Route 53 zone that holds the domain. Empty: the zone is looked up by `zone_name`."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^(Z[A-Z0-9]{1,31})?$", var.zone_id))
    error_message = "zone_id: the id of a hosted zone, such as Z0123456789ABCDEFGHIJ, or empty."
  }
}

variable "zone_name" {
  description = "Name of the Route 53 zone that holds the domain. Empty: the domain without its first label, or the domain itself when `create_zone` is true."
  type        = string
  default     = ""

  validation {
    condition     = var.zone_name == "" || var.domain == trimsuffix(var.zone_name, ".") || endswith(var.domain, ".${trimsuffix(var.zone_name, ".")}")
    error_message = "zone_name: the domain must be this zone's name or end with it."
  }
}

variable "create_zone" {
  description = "Create the Route 53 zone instead of using an existing one ($0.50 a month). The certificate is only issued once the parent domain delegates to the new zone's name servers, so `apply` waits for that."
  type        = bool
  default     = false

  validation {
    condition     = !(var.create_zone && var.zone_id != "")
    error_message = "create_zone and zone_id exclude each other."
  }
}

# --- What exists --------------------------------------------------------------------------------------------------

variable "power" {
  description = "`standby`: everything exists. `powered-down`: without the things that have a price by the hour (load balancer, listeners, Elastic IP); the name then leads to a placeholder. Neither starts or stops a task: that belongs to meetctl."
  type        = string
  default     = "standby"

  validation {
    condition     = contains(["standby", "powered-down"], var.power)
    error_message = "power: standby or powered-down."
  }
}

variable "media_ingress" {
  description = "How sound and pictures reach the bridge. `nlb`: UDP 10000 through the load balancer, at one fixed Elastic IP. `task`: straight to the task's own public address, which changes with each start; cheaper by the gigabyte, and one hop less."
  type        = string
  default     = "nlb"

  validation {
    condition     = contains(["nlb", "task"], var.media_ingress)
    error_message = "media_ingress: nlb or task."
  }
}

variable "load_balancer_zones" {
  description = "In how many availability zones the load balancer has an address: 2 lets the task start in either zone, 1 saves a public IPv4 address ($3.65 a month in standby) and keeps the task in the first zone."
  type        = number
  default     = 2

  validation {
    condition     = contains([1, 2], var.load_balancer_zones)
    error_message = "load_balancer_zones: 1 or 2."
  }
}

variable "task_zone" {
  description = "With `media_ingress = \"nlb\"`: the availability zone in which the task starts, 1 or 2. Media arrives in the first, so 2 is for the evening on which Fargate has no room there: what then crosses is paid for ($0.01 a gigabyte, each way)."
  type        = number
  default     = 1

  validation {
    condition     = contains([1, 2], var.task_zone) && var.task_zone <= var.load_balancer_zones
    error_message = "task_zone: 1, or 2 where load_balancer_zones is 2: a load balancer does not reach a zone in which it has no address."
  }
}

variable "vpc_cidr" {
  description = "Private address range of the network; two /20 (of a /16) are used as public subnets. Cannot be changed while the platform stands."
  type        = string
  default     = "10.42.0.0/16"

  validation {
    condition     = can(cidrsubnet(var.vpc_cidr, 4, 1)) && try(tonumber(split("/", var.vpc_cidr)[1]), 0) >= 16 && try(tonumber(split("/", var.vpc_cidr)[1]), 99) <= 24
    error_message = "vpc_cidr: an IPv4 range between /16 and /24, such as 10.42.0.0/16."
  }
}

# --- The task -----------------------------------------------------------------------------------------------------

variable "release" {
  description = "The one Jitsi release of all containers: its tag, and optionally a digest for each image (web, prosody, jicofo, jvb). With a digest exactly that image is pulled. The default has no digests because they could not be read where this was written; docs/guide-aws.md tells how to add them."
  type = object({
    tag     = string
    digests = optional(map(string), {})
  })
  default = {
    tag = "stable-11146-2"
  }

  # Until 11146 the images had other ports, users and paths, and lived on Docker Hub.
  # https://github.com/jitsi/docker-jitsi-meet/releases
  validation {
    condition     = can(regex("^stable-[0-9]+(-[0-9]+)?$", var.release.tag)) && try(tonumber(split("-", var.release.tag)[1]), 0) >= 11146
    error_message = "release.tag: stable-11146 or later."
  }

  validation {
    condition     = alltrue([for image, digest in var.release.digests : contains(["web", "prosody", "jicofo", "jvb"], image) && can(regex("^sha256:[0-9a-f]{64}$", digest))])
    error_message = "release.digests: keys web, prosody, jicofo, jvb; values sha256: and 64 hexadecimal digits."
  }
}

variable "image_registry" {
  description = "Where the images are pulled from. A private ECR registry (with repositories web, prosody, jicofo, jvb below this path, filled by hand or by a pull-through cache) starts faster; the execution role is then allowed to read it."
  type        = string
  default     = "ghcr.io/jitsi"

  validation {
    condition     = can(regex("^[a-z0-9.-]+(/[a-z0-9._-]+)*$", var.image_registry)) && !startswith(var.image_registry, "jitsi") && !startswith(var.image_registry, "docker.io")
    error_message = "image_registry: a registry and path such as ghcr.io/jitsi. Docker Hub is frozen at release 11031 and will not do."
  }
}

variable "architecture" {
  description = "Processor of the task: X86_64, or ARM64 (a fifth cheaper; Jitsi under load on it is unverified here)."
  type        = string
  default     = "X86_64"

  validation {
    condition     = contains(["X86_64", "ARM64"], var.architecture)
    error_message = "architecture: X86_64 or ARM64."
  }
}

variable "task_cpu" {
  description = "CPU units of the task (1024 = one vCPU). A new account may start 6 vCPU at once."
  type        = number
  default     = 4096

  validation {
    condition     = contains([2048, 4096, 8192], var.task_cpu)
    error_message = "task_cpu: 2048, 4096 or 8192."
  }
}

variable "task_memory" {
  description = "Memory of the task in MiB. The bridge's heap takes 3 GiB, the focus' 1 GiB."
  type        = number
  default     = 8192

  validation {
    condition     = var.task_memory >= 8192 && var.task_memory <= 30720 && var.task_memory % 1024 == 0
    error_message = "task_memory: 8192 to 30720, in steps of 1024."
  }
}

variable "permissions_boundary" {
  description = "ARN of an IAM policy that bounds what the platform's roles may ever do. Empty: none."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^(arn:aws:iam::([0-9]{12}|aws):policy/.+)?$", var.permissions_boundary))
    error_message = "permissions_boundary: the ARN of an IAM policy, or empty."
  }
}

variable "stun_servers" {
  description = "With `media_ingress = \"task\"`: servers that tell the bridge its public address, `host:port`. The first is run by the Jitsi project."
  type        = list(string)
  default     = ["meet-jit-si-turnrelay.jitsi.net:443", "stun.l.google.com:19302"]

  validation {
    condition     = length(var.stun_servers) > 0 && alltrue([for server in var.stun_servers : can(regex("^[A-Za-z0-9.-]+:[0-9]{2,5}$", server))])
    error_message = "stun_servers: at least one host:port."
  }
}

variable "max_participants" {
  description = "Most people in one room; 0 for no limit. What a meeting costs grows with the square of its people."
  type        = number
  default     = 35

  validation {
    condition     = var.max_participants >= 0 && var.max_participants <= 500 && floor(var.max_participants) == var.max_participants
    error_message = "max_participants: a whole number from 0 to 500."
  }
}

variable "timezone" {
  description = "Time zone of the containers (IANA name)."
  type        = string
  default     = "UTC"

  validation {
    condition     = can(regex("^[A-Za-z0-9_+/-]+$", var.timezone))
    error_message = "timezone: an IANA name such as America/Denver."
  }
}

# --- How it looks -------------------------------------------------------------------------------------------------

variable "jitsi_config_dir" {
  description = "Folder with the Jitsi files. Empty: `../jitsi-config` beside this module. Copy that folder to change more than the variables can."
  type        = string
  default     = ""
}

variable "branding" {
  description = "Title, links and colours of the pages, and the theme folder (below `themes/`) that holds logo.svg and background.svg."
  type = object({
    title      = optional(string, "AWS Aerospace")
    provider   = optional(string, "RGC3 and NE3D user groups")
    link       = optional(string, "")
    theme      = optional(string, "aws-aerospace")
    background = optional(string, "#0b1526")
    surface    = optional(string, "#16233a")
    accent     = optional(string, "#ff9900")
    text       = optional(string, "#f4f6fa")
  })
  default = {}

  validation {
    condition     = alltrue([for colour in [var.branding.background, var.branding.surface, var.branding.accent, var.branding.text] : can(regex("^#[0-9a-fA-F]{6}$", colour))])
    error_message = "branding: colours are # and six hexadecimal digits."
  }

  # These go into JavaScript, HTML and JSON: what could end a string or a tag is refused, not escaped.
  validation {
    condition     = alltrue([for text in [var.branding.title, var.branding.provider, var.branding.link] : can(regex("^[^\"'<>\\\\`$\\n\\r]{0,120}$", text))])
    error_message = "branding: title, provider and link must not contain quotes, angle brackets, backslashes, backticks, dollar signs or line ends."
  }

  validation {
    condition     = can(regex("^(https://[^ ]+)?$", var.branding.link)) && can(regex("^[a-z0-9-]+$", var.branding.theme))
    error_message = "branding: link begins with https://, theme is the name of a folder."
  }
}

variable "video" {
  description = "What each person sends and receives at most: `height` of the camera picture (180, 360, 720, 1080), and `last_n`, how many other cameras one person sees at once (-1: all). Both cut the traffic that is paid for."
  type = object({
    height = optional(number, 720)
    last_n = optional(number, 12)
  })
  default = {}

  validation {
    condition     = contains([180, 360, 720, 1080], var.video.height) && (var.video.last_n == -1 || (var.video.last_n >= 1 && var.video.last_n <= 100))
    error_message = "video: height is 180, 360, 720 or 1080; last_n is -1, or 1 to 100."
  }
}

# --- What browsers are told ---------------------------------------------------------------------------------------

variable "frame_ancestors" {
  description = "Pages that may show a meeting inside themselves, such as `https://example.org`; `'self'` for the platform's own, `'none'` for nobody. Empty: every page, as Jitsi has it."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for source in var.frame_ancestors : can(regex("^('self'|'none'|https://([*]\\.)?[A-Za-z0-9.-]+(:[0-9]+)?)$", source))]) && (!contains(var.frame_ancestors, "'none'") || length(var.frame_ancestors) == 1)
    error_message = "frame_ancestors: 'self', or addresses such as https://example.org or https://*.example.org; or 'none' alone."
  }
}

variable "csp_report_only" {
  description = "Let browsers say, in their consoles, what a policy for scripts and connections would forbid. Nothing is forbidden by it; the policy is unverified with this release of Jitsi."
  type        = bool
  default     = false
}

# --- Secrets, storage, watching ---------------------------------------------------------------------------------

variable "secrets_version" {
  description = "Raise by one to make new passwords. They are used from the next start on."
  type        = number
  default     = 1

  validation {
    condition     = var.secrets_version >= 1 && floor(var.secrets_version) == var.secrets_version
    error_message = "secrets_version: a whole number from 1."
  }
}

variable "secret_recovery_days" {
  description = "How long a deleted secret can be brought back (0, or 7 to 30 days). Its name cannot be used again meanwhile; it holds generated passwords only, so nothing is lost with 0."
  type        = number
  default     = 0

  validation {
    condition     = var.secret_recovery_days == 0 || (var.secret_recovery_days >= 7 && var.secret_recovery_days <= 30)
    error_message = "secret_recovery_days: 0, or 7 to 30."
  }
}

variable "recordings_expire_days" {
  description = "Days after which recordings are deleted; 0 keeps them."
  type        = number
  default     = 0

  validation {
    condition     = var.recordings_expire_days >= 0 && floor(var.recordings_expire_days) == var.recordings_expire_days
    error_message = "recordings_expire_days: a whole number from 0."
  }
}

variable "delete_recordings" {
  description = "Let `destroy` delete the bucket together with the recordings in it."
  type        = bool
  default     = false
}

variable "adopt_recordings_bucket" {
  description = "The recordings bucket was kept when an earlier platform was destroyed: take it over instead of creating it."
  type        = bool
  default     = false
}

variable "log_retention_days" {
  description = "Days for which container logs are kept."
  type        = number
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365], var.log_retention_days)
    error_message = "log_retention_days: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180 or 365."
  }
}

variable "alarm_emails" {
  description = "Addresses that get the alarms. Each has to confirm the mail that AWS sends first."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for address in var.alarm_emails : can(regex("^[^@ ]+@[^@ ]+\\.[^@ ]+$", address))])
    error_message = "alarm_emails: mail addresses."
  }
}

variable "program" {
  description = "meetctl says here which program runs, `terraform` or `tofu`, and its version. One platform stays with one program: their states drift apart. Empty: not checked."
  type        = object({ name = string, version = string })
  default     = { name = "", version = "" }

  validation {
    condition     = contains(["", "terraform", "tofu"], var.program.name) && can(regex("^[0-9A-Za-z.+-]*$", var.program.version))
    error_message = "program: name is terraform or tofu, version as the program prints it."
  }
}

variable "longest_session_hours" {
  description = "A task that runs for more than this many hours raises an alarm: somebody forgot it."
  type        = number
  default     = 6

  validation {
    condition     = var.longest_session_hours >= 1 && var.longest_session_hours <= 24 && floor(var.longest_session_hours) == var.longest_session_hours
    error_message = "longest_session_hours: a whole number from 1 to 24."
  }
}

variable "monthly_budget_usd" {
  description = "Budget for the whole AWS account, in US dollars a month; mails and the alarm topic are told at 80 % and when the forecast passes it. 0: no budget."
  type        = number
  default     = 40

  validation {
    condition     = var.monthly_budget_usd >= 0
    error_message = "monthly_budget_usd: 0 or more."
  }
}
