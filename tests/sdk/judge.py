"""Drives an emulated cloud with the vendor's own SDK and prints what it understood, one JSON document a line.

Called with one JSON argument: endpoint, project_id, access_key, secret_key, user, password, domain, agency, agency_domain,
instance_id, proxy_id, absent_proxy_id. It judges nothing: the test does, from what is printed.
"""

import json
import sys
import time

from huaweicloudsdkcore.auth.credentials import BasicCredentials, GlobalCredentials
from huaweicloudsdkcore.exceptions import exceptions
from huaweicloudsdkgaussdb.v3 import (
    GaussDBClient,
    ListGaussMySqlInstancesRequest,
    ListImmediateJobsRequest,
    ShowGaussMySqlJobInfoRequest,
    ShowGaussMySqlProxyListRequest,
    SwitchGaussMySqlProxySslRequest,
    SwitchProxySSLRequest,
)
from huaweicloudsdkiam.v3 import (
    AgencyTokenAssumerole,
    AgencyTokenAuth,
    AgencyTokenIdentity,
    AgencyTokenScope,
    AgencyTokenScopeProject,
    AuthScope,
    AuthScopeProject,
    IamClient,
    KeystoneCreateAgencyTokenRequest,
    KeystoneCreateAgencyTokenRequestBody,
    KeystoneCreateUserTokenByPasswordRequest,
    KeystoneCreateUserTokenByPasswordRequestBody,
    PwdAuth,
    PwdIdentity,
    PwdPassword,
    PwdPasswordUser,
    PwdPasswordUserDomain,
)

GIVEN = json.loads(sys.argv[1])


def say(step, **what):
    print(json.dumps({"step": step, **what}), flush=True)


def client(credentials):
    return GaussDBClient.new_builder().with_credentials(credentials).with_endpoint(GIVEN["endpoint"]).build()


def keys(secret_key, security_token=None):
    made = BasicCredentials(GIVEN["access_key"], secret_key, GIVEN["project_id"])
    return made.with_security_token(security_token) if security_token else made


def showing(token, kind):
    """The SDK knows no tokens; credentials of its own class name that set the header are taken for its own."""

    def sign_request(self, request):
        # Signing also makes the request's address, so the signature is made and left out.
        signed = kind.sign_request(self, request)
        del signed.header_params["Authorization"]
        signed.header_params["X-Auth-Token"] = token
        return signed

    return type(kind.__name__, (kind,), {"sign_request": sign_request})


def by_token(token):
    return showing(token, BasicCredentials)(GIVEN["access_key"], GIVEN["secret_key"], GIVEN["project_id"])


def refused(step, call):
    """What the SDK makes of an answer that is no success."""
    try:
        call()
    except exceptions.ServiceResponseException as error:
        kind = type(error).__name__
        say(step, kind=kind, status=error.status_code, code=error.error_code, message=error.error_msg, request_id=error.request_id)
    else:
        say(step, kind="success")


def proxies(sdk):
    answer = sdk.show_gauss_my_sql_proxy_list(
        ShowGaussMySqlProxyListRequest(instance_id=GIVEN["instance_id"], offset=0, limit=100)
    )
    return [row.proxy for row in answer.proxy_list]


def switch(sdk, proxy_id, value=True):
    request = SwitchGaussMySqlProxySslRequest(
        instance_id=GIVEN["instance_id"], proxy_id=proxy_id, body=SwitchProxySSLRequest(ssl_option=value)
    )
    return sdk.switch_gauss_my_sql_proxy_ssl(request).job_id


def job(sdk, job_id):
    return sdk.show_gauss_my_sql_job_info(ShowGaussMySqlJobInfoRequest(id=job_id)).job


def main():
    sdk = client(keys(GIVEN["secret_key"]))
    fleet = sdk.list_gauss_my_sql_instances(ListGaussMySqlInstancesRequest(offset=0, limit=100))
    say("instances", total=fleet.total_count, rows=[[i.id, i.name, i.status, i.proxy_ips, i.tags[0].key] for i in fleet.instances])
    seen = proxies(sdk)
    say("proxies", rows=[[p.pool_id, p.ssl_option, p.status, p.address, p.port] for p in seen])
    job_id = switch(sdk, GIVEN["proxy_id"])
    say("switch", job_id=job_id)
    refused("busy", lambda: switch(sdk, GIVEN["proxy_id"]))
    first = job(sdk, job_id)
    say("job", id=first.id, status=first.status, created=first.created, instance=first.instance.id)
    listed = sdk.list_immediate_jobs(ListImmediateJobsRequest(offset="1", limit="50"))
    say("jobs", total=listed.total_count, rows=[[j.job_id, j.instance_id, j.job_name, j.status, j.created_time] for j in listed.jobs])
    while (status := job(sdk, job_id).status) in ("Pending", "Running"):
        time.sleep(0.1)
    say("ended", status=status)
    say("after", rows=[[p.pool_id, p.ssl_option] for p in proxies(sdk)])

    refused("absent", lambda: switch(sdk, GIVEN["absent_proxy_id"]))
    refused("no such job", lambda: job(sdk, "00000000-0000-0000-0000-000000000000"))
    refused("wrong secret", lambda: proxies(client(keys("not-the-secret"))))
    refused("stale token", lambda: proxies(client(keys(GIVEN["secret_key"], "not-a-security-token"))))

    iam = (
        IamClient.new_builder()
        .with_credentials(GlobalCredentials(GIVEN["access_key"], GIVEN["secret_key"], "0" * 32))
        .with_endpoint(GIVEN["endpoint"])
        .build()
    )

    def login(password):
        user = PwdPasswordUser(
            domain=PwdPasswordUserDomain(name=GIVEN["domain"]), name=GIVEN["user"], password=password
        )
        auth = PwdAuth(
            identity=PwdIdentity(methods=["password"], password=PwdPassword(user=user)),
            scope=AuthScope(project=AuthScopeProject(id=GIVEN["project_id"])),
        )
        request = KeystoneCreateUserTokenByPasswordRequest(body=KeystoneCreateUserTokenByPasswordRequestBody(auth=auth))
        return iam.keystone_create_user_token_by_password(request)

    answer = login(GIVEN["password"])
    say("token", token=answer.x_subject_token, expires_at=answer.token.expires_at, methods=answer.token.methods)
    say("by token", rows=[[p.pool_id, p.ssl_option] for p in proxies(client(by_token(answer.x_subject_token)))])
    # What a user of one account does to act in another: its own token asks for one of the agency's account.
    def assume(token, agency):
        acting = showing(token, GlobalCredentials)(GIVEN["access_key"], GIVEN["secret_key"], "0" * 32)
        asking = IamClient.new_builder().with_credentials(acting).with_endpoint(GIVEN["endpoint"]).build()
        role = AgencyTokenAssumerole(domain_name=GIVEN["agency_domain"], agency_name=agency)
        auth = AgencyTokenAuth(
            identity=AgencyTokenIdentity(methods=["assume_role"], assume_role=role),
            scope=AgencyTokenScope(project=AgencyTokenScopeProject(id=GIVEN["project_id"])),
        )
        request = KeystoneCreateAgencyTokenRequest(body=KeystoneCreateAgencyTokenRequestBody(auth=auth))
        return asking.keystone_create_agency_token(request)

    acted = assume(answer.x_subject_token, GIVEN["agency"])
    say(
        "agency token",
        token=acted.x_subject_token,
        methods=acted.token.methods,
        user=acted.token.user.name,
        account=acted.token.user.domain.name,
        assumed_by=acted.token.assumed_by.user.name,
        project=acted.token.project.id,
        lasts=[acted.token.issued_at, acted.token.expires_at],
    )
    say("by agency", rows=[[p.pool_id, p.ssl_option] for p in proxies(client(by_token(acted.x_subject_token)))])
    refused("no such agency", lambda: assume(answer.x_subject_token, "not-an-agency"))
    refused("agency by no token", lambda: assume("not-a-token", GIVEN["agency"]))
    refused("agency by an agency", lambda: assume(acted.x_subject_token, GIVEN["agency"]))

    refused("wrong token", lambda: proxies(client(by_token("not-a-token"))))
    refused("wrong password", lambda: login("not-the-password"))


main()
