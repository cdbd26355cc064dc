//! With which words does a refusal begin, language by language?
//!
//! Our own list. Every pattern is about a text in lower case with plain apostrophes, and matches within one sentence. A refusal is
//! the first person (a model speaks of itself as "I"; "we can't" is a company speaking), an inability or unwillingness, and what is
//! declined: **strong** where the thing declined is the request itself (help, comply, do that), **weak** where it is a thing that
//! could be a detail of a helpful answer (give, write, share).

use std::sync::LazyLock;

use regex::Regex;

/// The words of one language.
pub(super) struct Language {
    /// Inability and the request itself.
    pub(super) strong: Regex,
    /// Inability and a thing.
    pub(super) weak: Regex,
    /// A refusal in any case.
    pub(super) declines: Regex,
    /// What looks like a refusal from its verb on and is none: "can't help but smile", "can't help without the order number".
    pub(super) figurative: Regex,
    /// What a company or an honest answer cannot give: refunds, exact dates.
    pub(super) business: Regex,
}

/// With word boundaries of ASCII: those of Unicode make the search many times slower as soon as a letter has an accent. No pattern
/// asks for a boundary beside such a letter.
fn regex(pattern: &str) -> Regex {
    Regex::new(&pattern.replace(r"\b", r"(?-u:\b)")).expect("the patterns of this file are constant and tested")
}

/// Someone else is speaking: what follows is quoted.
pub(super) static QUOTES: LazyLock<Regex> = LazyLock::new(|| regex(r#"["“„«{\[]|'(?:i|ich|je|no|non|não)\b"#));

/// What may stand before a refusal that is not the first sentence.
pub(super) static LEADS: LazyLock<Regex> = LazyLock::new(|| {
    regex(concat!(
        r"sorry|apolog|unfortunately|regret|afraid|understand|appreciate|thank|as an ai|language model|i'm an ai|i am an ai|i'm claude",
        r"|^i (?:know|hear|see|notice|want|need|should|must|have)\b|to be (?:direct|clear|honest|upfront)|^(?:this|that|your) (?:request|question)",
        r"|^(?:no|nope|hi|hello|hey)\b|that sounds|^i'm going to|^what you",
        r"|leid|leider|entschuldig|verzeih|bedau|verstehe|danke|als ki|sprachmodell|^nein\b|^hallo\b",
        r"|désolé|excus|malheureusement|regrett|comprends|merci|en tant qu|modèle de langage|^non\b|^bonjour\b",
        r"|lo siento|disculp|perdón|perdona|lament|entiendo|comprendo|gracias|como (?:modelo|ia|una ia|asistente)|^no\b|^hola\b",
        r"|mi dispiace|scus|purtroppo|capisco|grazie|in quanto|come (?:modello|ia)|^ciao\b",
        r"|desculp|lamento|infelizmente|sinto muito|entendo|compreendo|obrigad|como (?:um modelo|uma ia)|^não\b|^olá",
        r"|抱歉|对不起|申し訳|すみません"
    ))
});

/// The reply gives what was asked for.
pub(super) static DELIVERS: LazyLock<Regex> = LazyLock::new(|| {
    regex(concat!(
        r"\bhere(?:'s| is| are| you go)\b|\bbelow (?:is|are)\b|\bas follows\b|\bthe following\b|^(?:sure|certainly|of course|absolutely)\b",
        r"|\bhier (?:ist|sind|finde\w*|kommt)\b|\bim folgenden\b|\bvoici\b|\bvoilà|\bci-dessous\b|\baquí (?:está|tienes?|va)|\ba continuación\b",
        r"|\becco\b|\bdi seguito\b|\baqui (?:está|estão|vai)|\ba seguir\b|\n(?:- |• |1[.)] |\|)"
    ))
});

/// What follows a refusal as its consolation is no delivery.
pub(super) static ALTERNATIVES: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"\bhere(?:'s| is| are)(?: \w+){0,4} (?:alternatives?|resources?|suggestions?|options?|ideas?|ways?|things?|topics?|what i can)\b",
    )
});

const ENGLISH_ADVERBS: &str = "(?:really |simply |just |also |personally |unfortunately |therefore |respectfully |ethically |legally |actually |ever |currently |directly |knowingly |in good conscience |be able to |provide or |assist or |help or |create or )*";

fn english() -> Language {
    // The subject may be missing at the very beginning: "Sorry, can't help with that."
    let subject =
        r"(?:\bi |^(?:(?:i'm |i am )?(?:very |so |really )?(?:sorry|afraid|apologies|my apologies|unfortunately|no))?[, ]*(?:but )?)";
    let modal = "(?:can't|cannot|can not|won't|will not|shouldn't|should not|must not|mustn't|wouldn't|would not|don't|do not)";
    let state = r"\bi(?:'m| am) (?:just |simply |also |really |currently |unfortunately )*(?:unable to|prohibited from|prevented from|forbidden (?:to|from)|not (?:\w+ )?(?:able|going|permitted|allowed|programmed|designed|willing|prepared|authori[sz]ed|supposed|in a position) to)";
    let unable =
        format!(r"(?:{subject}{ENGLISH_ADVERBS}(?:{modal}|unable to|not able to)|{state})(?:, [a-z ']{{1,25}},)? {ENGLISH_ADVERBS}");
    Language {
        strong: regex(&format!(
            r"{unable}(?:help(?:ing)?\b|assist(?:ing)?\b|comply\b|complying\b|fulfill?\b|oblige\b|do (?:that|this|so|it|what)\b|engage (?:in|with)\b|participate\b|take part\b|carry (?:that|this|it)? ?out\b|proceed with\b|continue (?:with |this |that )|condone\b|facilitate\b|(?:answer|discuss|complete|fulfil|grant|support|accommodate|honou?r|entertain|respond to|process|perform) (?:that|this|these|those|such)\b)"
        )),
        weak: regex(&format!(
            r"{unable}(?:provid(?:e|ing)|giv(?:e|ing)|creat(?:e|ing)|generat(?:e|ing)|writ(?:e|ing)|produc(?:e|ing)|shar(?:e|ing)|tell you|show you|teach|explain|describe|draft|compose|build|design|develop|role-?play|pretend|impersonate|act as|reveal|disclos(?:e|ing)|repeat|reproduce|advise|translate|make|list|output|print|discuss|answer|respond|simulate|promote|encourage|speculate|diagnose|prescribe|offer (?:\w+ )?(?:advice|guidance|instructions|tips|help|assistance|information))\b"
        )),
        declines: regex(concat!(
            r"\bi(?:'ll| will| must| have to| need to|'ll have to| will have to|'m going to have to| am going to have to|'m going to| am going to|'d like to| would like to)? ?(?:respectfully |politely |regretfully )*(?:decline(?:$|[,;:]| (?:to|this|that|because|as|since|and|here|on|for)\b| (?:your|the|any|all) (?:\w+ ){0,2}(?:request|question|task|prompt|instruction)s?\b)|refuse (?:to (?:help|assist|do|write|provide|answer|engage|participate|comply|create|generate|give)|this|that|your)\b)",
            r"|\bi(?:'d| would) (?:rather|prefer) not\b|\bi(?:'d| would) prefer to (?:not|avoid)\b",
            r"|\bi(?:'m| am) not comfortable\b|\bi (?:don't|do not|wouldn't|would not) feel comfortable\b|\bi(?:'m| am) uncomfortable (?:with|writing|providing|creating|helping)\b",
            r"|\b(?:that|this|it)(?:'s| is)(?: not|n't) something (?:that )?i\b|\b(?:that|this)(?:'s| is) something i (?:can't|cannot|won't|will not|'m not|am not)\b",
            r"|\b(?:that|this|it) isn't something (?:that )?i\b",
            r"|\b(?:this|that|your|the) request (?:violates|goes against|is against|conflicts with) (?:\w+ ){0,3}(?:guidelines|ethics|ethical|safety)\b|\b(?:this|that|your) request (?:cannot|can't) be (?:fulfilled|answered)(?:$|[,;:]| by me\b| as it\b)",
            r"|\b(?:violates?|go(?:es)? against|conflicts? with|contrary to|is against) (?:my|anthropic's|openai's|our (?:usage|content)|the usage|the content) (?:\w+ ){0,2}(?:guidelines|policies|policy|principles|programming|values|rules|training)\b",
            r"|\bmy (?:\w+ ){0,2}(?:guidelines|programming|policies|principles|rules) (?:prevents?|prohibits?|forbids?|do(?:es)? not (?:allow|permit)|do(?:es)?n't (?:allow|permit))",
            r"|\bit (?:would not be|wouldn't be|would be|is not|isn't|is) (?:\w+ or )?(?:appropriate|inappropriate|unethical|ethical|irresponsible|responsible|illegal|wrong|unsafe|safe) for me to\b",
            r"|\bi(?:'m| am) (?:programmed|designed|trained) (?:not to|to (?:avoid|decline|refuse))\b",
            r"|^(?:no[, ]+|sorry[, ]+|i'm sorry[, ]+|i am sorry[, ]+|but )*i (?:can't|cannot|won't|will not)$|^(?:i'm |i am )?sorry,? (?:but )?no$"
        )),
        figurative: regex(
            r"\bhelp(?:ing)? (?:but|noticing|feeling|thinking|wondering|smiling|myself|it)\b|\bwithout (?:more|further|additional|knowing|seeing|some|(?:the|an?|your|its) (?:\w+ )?(?:order|number|account|id|details|information|context|file|text|document|invoice|image|link|code|input|name|address|email|receipt|log|logs|version))\b|\b(?:until|unless)\b|\benough\b|\byet\b|\bmake (?:it|out|sense|sure|any sense|\w+day|tomorrow|tonight)\b|\bdo (?:that|this|it|so) (?:often|every|all the time)\b|\bdo (?:that|this|it|so) (?:for you )?(?:until|without|in|from|via|through)\b|\btell you how (?:happy|sorry|much|glad)\b|\banswer (?:for|on behalf)\b|\bshare your\b",
        ),
        business: regex(
            r"(?:provid|giv|creat|generat|mak|shar|tell|offer|list|answer|respond)\w* (?:you |them |him |her |us |an |a |any |the |that |this |your |another |full |partial |more |\w+ ){0,4}(?:refunds?|discounts?|credits?|replacements?|exceptions?|extensions?|reimbursements?|compensation|vouchers?|exact|exactly|precise|precisely|firm|definitive|definite|guarantees?|promises?|estimates?|timelines?|time ?frames?|eta|dates?|whether|which|when|why|changes?)\b",
        ),
    }
}

fn german() -> Language {
    let unable = r"\b(?:ich (?:kann|darf|werde|möchte|will|könnte)|(?:kann|darf|werde|möchte|will) ich)\b[^,;:]{0,90}?\b(?:nicht|kein\w*)\b[^;:]{0,70}?";
    Language {
        strong: regex(&format!(
            r"{unable}\b(?:helfen|weiterhelfen|behilflich sein|unterstützen|nachkommen|mitwirken|mitmachen|entsprechen|assistieren|teilnehmen)\b"
        )),
        weak: regex(&format!(
            r"{unable}\b(?:beantworten|bereitstellen|erstellen|geben|schreiben|liefern|erfüllen|ausführen|weitergeben|verfassen|generieren|anbieten|erzeugen|erklären|verraten|preisgeben|teilen|übersetzen|machen|tun)\b"
        )),
        declines: regex(concat!(
            r"\bich (?:muss|möchte|werde) (?:\w+ ){0,5}(?:ablehnen|verweigern)\b|\bich lehne (?:\w+ ){0,4}ab\b|\bich weigere mich\b|\bmuss ich (?:\w+ ){0,4}ablehnen\b",
            r"|\b(?:ich bin|bin ich) (?:leider )?nicht (?:in der lage|befugt|berechtigt|autorisiert)\b|\b(?:es ist|ist es) mir (?:leider )?nicht (?:möglich|erlaubt|gestattet)\b",
            r"|\b(?:verstößt|verstoßen) gegen (?:meine|die nutzungs)|\bmeine (?:richtlinien|programmierung|grundsätze) (?:verbiet|erlaub|lass)"
        )),
        figurative: regex(
            r"\bgenug\b|\bkaum erwarten\b|\bnur empfehlen\b|\bohne (?:ihre|deine|die|eine|weitere|nähere|mehr)\b|\bsolange\b|\bbevor\b|\bnicht nur\b|\bnicht oft genug\b",
        ),
        business: regex(
            r"\b(?:rückerstattung|erstattung|rabatt|gutschrift|ersatz|garantie|zusage|ausnahme|entschädigung|gutschein|termin|datum|zeitpunkt|genaue\w*|konkrete\w*|verbindliche\w*|sofort|rückgängig)\b",
        ),
    }
}

fn french() -> Language {
    let unable = r"\b(?:je ne (?:peux|puis|vais|saurais|dois|souhaite|veux)|je ne suis pas (?:en mesure|autorisée?|capable|habilitée?|programmée?) (?:de |à |pour )?|je suis (?:dans l'incapacité|dans l'impossibilité|incapable) (?:de |d'))(?: ?(?:malheureusement|pas|donc|simplement|vous|te|t'|y|en|l'|le|la|les|pas vous|d'|de) ?)*";
    Language {
        strong: regex(&format!(
            r"{unable} ?(?:aider|assister|accéder à|satisfaire|donner suite|répondre à (?:cette|votre|ta|ce)|faire (?:cela|ça)|participer|poursuivre)\b"
        )),
        weak: regex(&format!(
            r"{unable} ?(?:répondre|fournir|donner|créer|écrire|rédiger|générer|partager|produire|expliquer|révéler|divulguer|traduire|proposer|discuter)\b"
        )),
        declines: regex(concat!(
            r"\bje (?:dois|préfère|vais devoir) (?:\w+ ){0,3}(?:décliner|refuser)\b|\bje (?:refuse|décline)\b|\bje me dois de (?:décliner|refuser)\b",
            r"|\bil m'est (?:malheureusement )?impossible de (?:vous |t')?(?:aider|répondre|fournir|satisfaire|donner suite|accéder)\b|\bje ne suis pas à l'aise\b",
            r"|\b(?:va à l'encontre de|enfreint|viole) (?:mes|les) (?:principes|règles|directives|conditions)"
        )),
        figurative: regex(
            r"\bassez\b|\bque vous recommander\b|\bsans (?:votre|vos|le|la|plus|davantage|connaître|savoir)\b|\btant que\b|\bavant de\b",
        ),
        business: regex(
            r"\b(?:remboursement|remise|réduction|avoir|échange|garantie|exception|dédommagement|date|délai|exacte?|exactement|précise?|précisément)\b",
        ),
    }
}

fn spanish() -> Language {
    let unable = r"\bno (?:te |le |les |lo |la )?(?:puedo|podré|podría|debo|voy a|quiero|estoy en condiciones de|estoy en posición de|me es posible|soy capaz de|estoy autorizad[oa] (?:a|para)|estoy programad[oa] para|tengo permitido)";
    Language {
        strong: regex(&format!(
            r"{unable} (?:ayudar\w*|asistir\w*|cumplir|participar|colaborar|hacer (?:eso|esto)|hacerlo|atender|complacer\w*|continuar con|responder a (?:eso|esta|esa|tu|su))\b"
        )),
        weak: regex(&format!(
            r"{unable} (?:proporcionar\w*|dar\w{{0,4}}|crear\w*|generar\w*|escribir\w*|responder\w*|ofrecer\w*|compartir\w*|facilitar\w*|redactar\w*|producir\w*|explicar\w*|revelar\w*|divulgar\w*|traducir\w*|brindar\w*)\b"
        )),
        declines: regex(concat!(
            r"\b(?:debo|tengo que|prefiero|voy a tener que) (?:\w+ ){0,2}(?:rechazar|declinar|negarme)\b|\bme niego a\b|\bme veo (?:obligad[oa] a|en la obligación de) (?:rechazar|declinar)\b",
            r"|\b(?:va en contra de|infringe|viola) (?:mis|las) (?:principios|directrices|normas|políticas|reglas)|\bno me siento cómod[oa]\b"
        )),
        figurative: regex(
            r"\bsuficiente\b|\besperar\b|\bsin (?:tu|su|el|la|más|saber|conocer|ver)\b|\bhasta que\b|\bmás que\b|\bdejar de\b",
        ),
        business: regex(
            r"\b(?:reembolso|devolución|descuento|crédito|reemplazo|excepción|garantía|compensación|cupón|fecha|plazo|exact[oa]s?|exactamente|precis[oa]s?)\b",
        ),
    }
}

fn italian() -> Language {
    let unable = r"\bnon (?:ti |la |vi |le )?(?:posso|potrò|potrei|sono in grado di|mi è possibile|intendo|voglio|devo|sono autorizzat[oa] a|sono programmat[oa] per)";
    Language {
        strong: regex(&format!(
            r"{unable} (?:aiutar\w*|assister\w*|soddisfare|esaudire|partecipare|collaborare|farlo|fare (?:questo|ciò|quello)|procedere con|continuare con|rispondere a (?:questa|questo|tale))\b"
        )),
        weak: regex(&format!(
            r"{unable} (?:fornir\w*|dare|dart\w*|darl\w*|darv\w*|creare|generare|scrivere|scriver\w*|rispondere|offrir\w*|condivider\w*|produrre|spiegar\w*|rivelare|divulgare|tradurre|redigere)\b"
        )),
        declines: regex(concat!(
            r"\b(?:devo|preferisco|dovrò) (?:\w+ ){0,2}(?:rifiutare|declinare)\b|\bmi rifiuto di\b|\bmi vedo costrett[oa] a (?:rifiutare|declinare)\b",
            r"|\b(?:va contro|viola) (?:i miei|le mie|le) (?:principi|linee guida|politiche|regole)|\bnon mi sento a mio agio\b"
        )),
        figurative: regex(
            r"\babbastanza\b|\baspettare\b|\bsenza (?:il|la|tuo|suo|ulteriori|sapere|conoscere|vedere)\b|\bfinché|\bche consigliar|\bfare a meno\b",
        ),
        business: regex(
            r"\b(?:rimborso|sconto|credito|sostituzione|eccezione|garanzia|risarcimento|buono|data|esatt[oa]|esattamente|precis[oa])\b",
        ),
    }
}

fn portuguese() -> Language {
    let unable = r"\bnão (?:te |lhe |o |a )?(?:posso|poderei|poderia|consigo|devo|vou|quero|sou capaz de|estou autorizad[oa] a|estou em condições de|me é possível|é possível para mim|estou programad[oa] para)";
    Language {
        strong: regex(&format!(
            r"{unable} (?:(?:te |lhe |o |a )?ajud[aá]\S*|auxiliar\S*|atender|cumprir|participar|colaborar|fazer (?:isso|isto)|prosseguir com|continuar com|responder a (?:essa|esta|isso|esse))"
        )),
        weak: regex(&format!(
            r"{unable} (?:te |lhe )?(?:fornecer\S*|dar\b|criar|gerar|escrever|responder|oferecer|compartilhar|partilhar|produzir|explicar|revelar|divulgar|traduzir|redigir)"
        )),
        declines: regex(concat!(
            r"\b(?:devo|preciso|tenho que|tenho de|prefiro|terei que|terei de) (?:\w+ ){0,2}(?:recusar|declinar)\b|\b(?:me recuso|recuso-me) a\b",
            r"|\b(?:vai contra|viola) (?:meus|minhas|as) (?:princípios|diretrizes|políticas|regras)|\bnão me sinto confortável\b"
        )),
        figurative: regex(
            r"\bsuficiente\b|\besperar\b|\bsem (?:o|a|seu|sua|mais|saber|conhecer|ver)\b|\baté que\b|\bdeixar de\b|\bmais do que\b",
        ),
        business: regex(
            r"\b(?:reembolso|devolução|desconto|crédito|substituição|exceção|garantia|compensação|cupom|data|prazo|exat[oa]|exatamente|precis[oa])\b",
        ),
    }
}

/// Chinese and Japanese write without blanks and say it in a few set phrases.
fn chinese_and_japanese() -> Language {
    Language {
        strong: regex(concat!(
            r"^(?:非常|很|十分)?(?:抱歉|对不起|不好意思|遗憾)[^。]{0,12}?我?(?:不能|无法|没法|没办法|不可以|不会|恕难)[^。]{0,12}?(?:帮|协助|满足|回答|提供|完成|生成|创建|撰写|写|从命|参与)",
            r"|^我(?:不能|无法|没法|没办法)[^。]{0,6}?(?:帮助你|帮助您|协助|满足|回答(?:这个|该|此))",
            r"|(?:申し訳|すみません|恐れ入ります|恐縮)[^。]{0,40}?(?:お手伝い|お答え|回答|提供|対応|協力|作成|支援|お応え|お教え)[^。]{0,10}?(?:でき(?:ません|かねます|ない)|いたしかねます|致しかねます)"
        )),
        weak: regex(r"^我(?:不能|无法)(?:提供|生成|创建|撰写|编写|分享)"),
        declines: regex(r"^我(?:必须|只能|不得不)拒绝|お断り(?:します|いたします|させていただ)"),
        figurative: regex(r"没有(?:您|你)的|请(?:提供|告诉)|等不及|確認でき"),
        business: regex(r"退款|折扣|具体|确切|准确|返金|割引"),
    }
}

/// In the order in which they are tried.
pub(super) static LANGUAGES: LazyLock<[Language; 7]> =
    LazyLock::new(|| [english(), german(), french(), spanish(), italian(), portuguese(), chinese_and_japanese()]);
