<?php
// TinCanPHP, by Rustici Software: statements, pages, attachments and documents.
// php tincan.php FOLDER CONFIGURATION: the folder of the library, and a JSON object.

error_reporting(E_ALL & ~E_DEPRECATED);
set_error_handler(function ($level, $message) {
    if (error_reporting() & $level) {
        throw new ErrorException($message); // a response that is read wrongly gives warnings only
    }
    return true;
});
[$_, $folder, $configuration] = $argv;
spl_autoload_register(function ($class) use ($folder) {
    $file = $folder . '/src/' . str_replace(['TinCan\\', '\\'], ['', '/'], $class) . '.php';
    if (is_file($file)) {
        require $file;
    }
});
['endpoint' => $endpoint, 'key' => $key, 'secret' => $secret] = json_decode($configuration, true);

$lrs = new TinCan\RemoteLRS($endpoint, '1.0.3', $key, $secret);
$agent = ['name' => 'Jürgen', 'mbox' => 'mailto:learner+1@example.com'];
$activity = ['id' => 'http://example.com/course/1?a=b&c=d'];

function new_statement(array $members = []): TinCan\Statement
{
    global $agent, $activity;
    $verb = ['id' => 'http://adlnet.gov/expapi/verbs/experienced'];
    $parts = ['actor' => $agent, 'verb' => $verb, 'object' => $activity];
    return new TinCan\Statement(['id' => TinCan\Util::getUUID()] + $parts + $members);
}

function succeeded(TinCan\LRSResponse $response)
{
    if (!$response->success) {
        throw new RuntimeException(print_r($response->content, true));
    }
    return $response->content;
}

function statements(TinCan\RemoteLRS $lrs): array
{
    global $agent;
    $sent = [new_statement(), new_statement(), new_statement(), new_statement()];
    succeeded($lrs->saveStatement($sent[0]));
    succeeded($lrs->saveStatement($sent[0])); // a retry
    succeeded($lrs->saveStatements(array_slice($sent, 1)));
    $one = succeeded($lrs->retrieveStatement($sent[0]->getId()));
    $query = ['agent' => new TinCan\Agent($agent), 'limit' => 3];
    $page = succeeded($lrs->queryStatements($query));
    $pages = [$page];
    while ($page->getMore()) {
        $page = succeeded($lrs->moreStatements($page));
        $pages[] = $page;
    }
    $invalid = new_statement(['result' => ['duration' => 'one hour']]);
    return [
        'sent' => ids($sent),
        'one' => $one->getId(),
        'pages' => array_map(fn ($page) => ids($page->getStatements()), $pages),
        'invalid' => $lrs->saveStatement($invalid)->httpResponse['status'],
    ];
}

function ids(array $statements): array
{
    return array_map(fn ($statement) => $statement->getId(), $statements);
}

function attachments(TinCan\RemoteLRS $lrs): array
{
    $every_byte = implode(array_map('chr', range(0, 255)));
    $sent = ["\r\n--boundary--\r\n$every_byte\r\n", "$every_byte\r\n--boundary--\r\n-"];
    $attachments = array_map(fn ($content) => [
        'usageType' => 'http://id.tincanapi.com/attachment/supporting_media',
        'display' => ['en-US' => 'Supporting media'],
        'contentType' => 'application/octet-stream',
        'content' => $content,
    ], $sent);
    $statement = new_statement(['attachments' => $attachments]);
    succeeded($lrs->saveStatement($statement));
    $one = succeeded($lrs->retrieveStatement($statement->getId(), ['attachments' => true]));
    return [
        'id' => $statement->getId(),
        'sent' => array_map('bin2hex', $sent),
        'one' => array_map(fn ($item) => bin2hex($item->getContent()), $one->getAttachments()),
    ];
}

// The methods have the name of the document's kind: saveState, retrieveActivityProfile.
function document(TinCan\RemoteLRS $lrs, string $kind, array $subject): array
{
    $json = ['contentType' => 'application/json'];
    succeeded($lrs->{"save$kind"}(...[...$subject, 'bookmark', '{"page":1}', $json]));
    $created = succeeded($lrs->{"retrieve$kind"}(...[...$subject, 'bookmark']));
    $options = $json + ['etag' => $created->getEtag()];
    $saved = succeeded($lrs->{"save$kind"}(...[...$subject, 'bookmark', '{"page":2}', $options]));
    $stale = $lrs->{"save$kind"}(...[...$subject, 'bookmark', '{}', $options]);
    $options = $json + ['etag' => $saved->getEtag()]; // the SHA-1, without quotes
    succeeded($lrs->{"save$kind"}(...[...$subject, 'bookmark', '{"page":3}', $options]));
    succeeded($lrs->{"save$kind"}(...[...$subject, 'a/b?c&d', 'text', []]));
    $listed = succeeded($lrs->{"retrieve{$kind}Ids"}(...$subject));
    $replaced = succeeded($lrs->{"retrieve$kind"}(...[...$subject, 'bookmark']));
    succeeded($lrs->{"delete$kind"}(...[...$subject, 'bookmark']));
    $dropped = $lrs->{"retrieve$kind"}(...[...$subject, 'bookmark']);
    sort($listed);
    return [
        'created' => json_decode($created->getContent()),
        'replaced' => json_decode($replaced->getContent()),
        'stale' => $stale->httpResponse['status'],
        'listed' => $listed,
        'dropped' => $dropped->httpResponse['status'],
    ];
}

echo json_encode([
    'about' => succeeded($lrs->about())->getVersion(),
    'statements' => statements($lrs),
    'attachments' => attachments($lrs),
    'state' => document($lrs, 'State', [$activity, $agent]),
    'activityProfile' => document($lrs, 'ActivityProfile', [$activity]),
    'agentProfile' => document($lrs, 'AgentProfile', [$agent]),
]);
