/**
 * Plain words, each one token (with its leading space) in the byte-pair vocabularies of Qwen,
 * GPT and Llama, so that a prompt's length in tokens is known without a tokenizer.
 */
export const words: readonly string[] = `
the of and to in is that for it as was with be by on not he his but at are this have from or had an
they which one you were all her she there would their we him been has when who will no more if out
so up said what its about than into them can only other time new some could these two may first then
do any like my now over such our man me even most made after also did many must before back through
years where much your way down should because long each just state those people too how little good
world make very year still see own work men day get here old life both between being under three
never know same last another while us off might great go come since against right came take used
himself few house use place during high without again home around small however found part once
general say upon school every does got united left number course war until always away something
fact water less public put think almost hand enough far took head yet government system set better
told nothing night end why called eyes find going look asked later knew point next program city
business give group toward days young let room word given side social several order present second
possible rather per face among form important often things looked early white case large big need
four within felt children along saw best church ever least power development light thing seemed
family interest want members mind country area others done turned although open service certain kind
problem began different door thus help sense means whole matter itself human line above whether
times name example company hands local show five history gave today either act feet across taken
past quite anything having seen death body experience half really week words car field already
themselves information college shall money period question told show held keep free probably real
behind cannot miss political air office brought whose special major problems federal become study
ago moment available known street result economic boy position reason change south board individual
job society areas west close turn love community true court force full seem am wife future age cost
wanted voice department center woman control common policy necessary following front sometimes six
girl clear further land run students provide feel party able mother music education university child
effect students level stood military town short morning total outside rate figure class art century
north usually plan leave therefore evidence top million sound black strong hard various says believe
type value play surface soon mean near lines table peace modern tax road red book personal process
situation minutes increase schools idea english alone women gone nor living months started longer
cut finally third secretary nature private section call fire kept values view dark everything ground
greater pressure basis space east father space required union spirit except complete wrote moved
support return conditions recent attention late particular nations hope live costs else brown taking
forces read beyond hours person inside low report coming data looking dead system heart feeling
miles pay single lost amount instead added material research followed natural move works deal
`
  .split(/\s+/)
  .filter((word, index, all) => word !== "" && all.indexOf(word) === index);
