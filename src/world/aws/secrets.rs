//! Secrets Manager: that the secret is there. Its value is never read.

use super::Aws;
use super::convert::timestamp;
use super::error::is;
use crate::domain::observed::Secret;
use crate::world::CloudError;

pub(super) async fn secret(aws: &Aws) -> Result<Option<Secret>, CloudError> {
    let name = aws.names.secret();
    match aws.secrets.describe_secret().secret_id(&name).send().await {
        Ok(answer) => {
            Ok(Some(Secret { deleted: answer.deleted_date().and_then(timestamp), name: answer.name.unwrap_or(name) }))
        }
        Err(error) if is(&error, &["ResourceNotFoundException"]) => Ok(None),
        Err(error) => Err(aws.explain.error("secretsmanager:DescribeSecret", &error)),
    }
}
