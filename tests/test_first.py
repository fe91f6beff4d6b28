from support import Partner, statement


async def test_stores(partner: Partner) -> None:
    answer = await partner.send(statement())
    assert answer.status_code == 200
    assert [each["id"] for each in await partner.all()] == answer.json()
