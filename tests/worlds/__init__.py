"""Generated worlds: real wheels and sdists, and a real HTTP server for them that can misbehave.

def test_sync(serve, environment, tmp_path):                      # fixtures of tests/conftest.py
    server = serve(
        project("app", "1.0", requires=["lib>=1", 'win; sys_platform == "win32"']),
        project("lib", "1.0", release("2.0", wheel(), sdist(), yanked="broken")),
        format="html_only", ranges=False,                         # any field of site.Options
    )
    server.misbehave("*/lib-1.0*.whl", faults.cut_after(100), times=1)
    ...                                                           # sync from server.url into tmp_path
    assert not server.asked("*.whl", method="HEAD")
    server.world = server.world.releasing("lib", release("3.0"))  # the index moves on
    pip_install((tmp_path / "simple").as_uri() + "/", "app", environment).expect_ok()
"""
